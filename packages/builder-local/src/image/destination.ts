import { type BuildJob, type Call, isCygniError, type RepositoryLocation } from '@cygni/core';
import { pushing } from '../build-fault.ts';

export interface Destination {
  /**
   * Runs one exchange with the destination, and once more with new credentials where it refuses those it has.
   * @param what the image in words. @throws BuildFault
   */
  send<Result>(
    what: string,
    exchange: (location: RepositoryLocation) => Promise<Result>,
  ): Promise<Result>;
  /** The location as it is, but with new credentials where it had those of the destination. */
  renewed(location: RepositoryLocation): RepositoryLocation;
}

/** Where an image goes, with credentials that may run out before it has got there. */
export function createDestination(
  { destination, renewCredentials }: Pick<BuildJob, 'destination' | 'renewCredentials'>,
  call: Call,
): Destination {
  const first = destination.credentials;
  let current = first;

  const withCurrent = (location: RepositoryLocation): RepositoryLocation =>
    current === undefined ? location : { ...location, credentials: current };

  return {
    send: (what, exchange) =>
      pushing(what, async () => {
        try {
          return await exchange(withCurrent(destination));
        } catch (error) {
          if (!current || !renewCredentials || !isCygniError(error, 'forbidden')) throw error;
          current = await renewCredentials(current, call);
          return exchange(withCurrent(destination));
        }
      }),
    renewed: (location) =>
      first !== undefined && location.credentials === first ? withCurrent(location) : location,
  };
}
