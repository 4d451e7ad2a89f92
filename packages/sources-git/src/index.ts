export { createGitFetcher } from './create-git-fetcher.ts';
export type { GitFetcherOptions } from './options.ts';
