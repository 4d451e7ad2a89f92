import { z } from 'zod';

/** Text that is JSON. Its issue tells nothing of the text, as the parser's error would. */
export const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    context.addIssue({ code: 'custom', message: 'must be JSON' });
    return z.NEVER;
  }
});
