export const flavours = ['v1.24.0', 'osscontainertools'] as const;
/** `v1.24.0`: the archived last release of GoogleContainerTools. `osscontainertools`: the maintained fork. */
export type KanikoFlavourName = (typeof flavours)[number];

/** What only some builds of kaniko know. */
interface KanikoFlags {
  /** `--credential-helpers=`: none, so that none looks for an account of the node's. */
  readonly credentialHelpers: boolean;
  /** Switches of behaviour that are set by the environment. */
  readonly environment: Readonly<Record<string, string>>;
}

const flags: Readonly<Record<KanikoFlavourName, KanikoFlags>> = {
  'v1.24.0': { credentialHelpers: false, environment: {} },
  osscontainertools: {
    credentialHelpers: true,
    environment: {
      // An archive must not write outside of the context (CVE-2026-28406).
      FF_KANIKO_SECUREJOIN_EXTRACTION: 'true',
      // No COPY takes the registry's credentials into the image.
      FF_KANIKO_CONFINE_COPY_SOURCE: 'true',
    },
  },
};

export function flagsOf(flavour: KanikoFlavourName): KanikoFlags {
  return flags[flavour];
}
