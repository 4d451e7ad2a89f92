import { randomBytes } from 'node:crypto';
import type { Place } from './route.ts';

export interface UploadSession {
  readonly place: Place;
  /** Where the upstream wants the next request of this upload; the build never sees it. */
  url: URL;
}

export interface UploadSessions {
  begin(place: Place, url: URL): string;
  find(place: Place, id: string): UploadSession | undefined;
  end(id: string): void;
}

const maximumSessions = 1000;

/** Uploads under way. The oldest is forgotten first, so that a build which only begins uploads fills no memory. */
export function createUploadSessions(): UploadSessions {
  const sessions = new Map<string, UploadSession>();
  return {
    begin(place, url) {
      if (sessions.size >= maximumSessions) {
        const oldest = sessions.keys().next();
        if (!oldest.done) sessions.delete(oldest.value);
      }
      const id = randomBytes(16).toString('hex');
      sessions.set(id, { place, url });
      return id;
    },
    find(place, id) {
      const session = sessions.get(id);
      const { upstream, repository } = session?.place ?? {};
      return upstream === place.upstream && repository === place.repository ? session : undefined;
    },
    end(id) {
      sessions.delete(id);
    },
  };
}
