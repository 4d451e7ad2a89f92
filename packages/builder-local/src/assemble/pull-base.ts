import { type BuildJob, type Call, type ImageClient, readImage } from '@cygni/core';
import { pulling } from '../build-fault.ts';
import { locate, parseImageReference } from '../image/image-reference.ts';
import { type StageState, stateFromImage } from './stage-state.ts';

export interface BasePullerInput {
  readonly job: BuildJob;
  readonly images: ImageClient;
  readonly platform: { readonly os: string; readonly architecture: string };
  readonly write: (line: string) => Promise<void>;
  readonly call: Call;
}

/** Reads manifest and config of base images, each once: a tag that moves meanwhile cannot give a build two images. */
export function createBasePuller({ job, images, platform, write, call }: BasePullerInput) {
  const pulled = new Map<string, Promise<StageState>>();

  async function read(reference: string): Promise<StageState> {
    const image = parseImageReference(reference);
    const location = locate(image, job);
    return pulling(reference, async () => {
      const found = await readImage(images, location, image.reference, platform, call);
      await write(`using ${image.host}/${image.repository}@${found.digest}`);
      return stateFromImage(found, location);
    });
  }

  return (reference: string): Promise<StageState> => {
    const known = pulled.get(reference) ?? read(reference);
    pulled.set(reference, known);
    return known;
  };
}
