export { createSnsNotifier } from './create-sns-notifier.ts';
export type { SnsNotifierOptions } from './options.ts';
