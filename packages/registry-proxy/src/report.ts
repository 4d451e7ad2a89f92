export type ErrorReason =
  | 'invalid_configuration'
  | 'credentials_expired'
  | 'credentials_refused'
  | 'denied'
  | 'not_allowed'
  | 'upstream_unavailable'
  | 'integrity'
  | 'internal';

/** The lines that the proxy prints. */
export type ReportedEvent =
  | { readonly event: 'listening'; readonly port: number }
  | {
      readonly event: 'pushed';
      readonly upstream: string;
      readonly repository: string;
      readonly reference: string;
      readonly digest: string;
    }
  | {
      readonly event: 'error';
      readonly reason: ErrorReason;
      readonly message: string;
      readonly upstream?: string;
      readonly repository?: string;
    };

export type Report = (event: ReportedEvent) => void;

const maximumErrors = 200;

/**
 * One JSON line for each event. Errors stop after the 200th: a build can cause as many as it likes,
 * and the `pushed` line must not be the one that log rotation takes.
 */
export function createReport(write: (line: string) => void): Report {
  let errors = 0;
  return (event) => {
    if (event.event === 'error') {
      errors += 1;
      if (errors > maximumErrors) return;
    }
    write(`${JSON.stringify(event)}\n`);
  };
}
