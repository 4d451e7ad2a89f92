export const flavours = ['v1.24.0', 'osscontainertools'] as const;
/** `v1.24.0`: the archived last release of GoogleContainerTools. `osscontainertools`: the maintained fork. */
export type KanikoFlavourName = (typeof flavours)[number];

/** What only some builds of kaniko know. */
interface KanikoFlags {
  /** `--credential-helpers=`: none, so that none looks for an account of the node's. */
  readonly credentialHelpers: boolean;
}

const flags: Readonly<Record<KanikoFlavourName, KanikoFlags>> = {
  'v1.24.0': { credentialHelpers: false },
  osscontainertools: { credentialHelpers: true },
};

export function flagsOf(flavour: KanikoFlavourName): KanikoFlags {
  return flags[flavour];
}
