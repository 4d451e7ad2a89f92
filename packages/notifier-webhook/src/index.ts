export { createWebhookNotifier } from './create-webhook-notifier.ts';
export type { WebhookKey, WebhookNotifierOptions } from './options.ts';
export { verifyWebhook, type WebhookHeaders } from './verify-webhook.ts';
