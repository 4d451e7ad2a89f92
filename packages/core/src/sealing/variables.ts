import { type CygniError, isCygniError } from '../errors.ts';
import type { SealedPlace, Sealer } from './sealer.ts';

type Variables = Readonly<Record<string, string>>;
type Owner = Omit<SealedPlace, 'name'>;

/** What people are shown in the place of a value that cannot be opened. */
const unreadableValue = '(cannot be opened)';

/** On variables of which one could not be opened: why. A symbol, so that no name of a variable is the same. */
const reason = Symbol.for('cygni.unreadable');

export function sealVariables(sealer: Sealer, variables: Variables, owner: Owner): Variables {
  return mapValues(variables, (value, name) => sealer.seal(value, { ...owner, name }));
}

/**
 * The variables with their values. One that cannot be opened spoils no more than itself: it has
 * {@link unreadableValue}, and whoever is about to work with the variables learns it from {@link requireReadable}.
 */
export function openVariables(sealer: Sealer, variables: Variables, owner: Owner): Variables {
  let unreadable: CygniError | undefined;
  const opened = mapValues(variables, (text, name) => {
    try {
      return sealer.open(text, { ...owner, name });
    } catch (error) {
      if (!isCygniError(error, 'integrity')) throw error;
      unreadable ??= error;
      return unreadableValue;
    }
  });
  return unreadable ? Object.defineProperty(opened, reason, { value: unreadable }) : opened;
}

/** The variables, to work with. @throws `integrity` where one could not be opened; it names the variable */
export function requireReadable(variables: Variables): Variables {
  const unreadable: unknown = Reflect.get(variables, reason);
  if (unreadable !== undefined) throw unreadable;
  return variables;
}

function mapValues(variables: Variables, map: (value: string, name: string) => string) {
  return Object.fromEntries(
    Object.entries(variables).map(([name, value]) => [name, map(value, name)]),
  );
}
