/** The grammars of the OCI distribution spec. None lets through `..`, `%`, `?` or an empty segment. */
export const repositoryPattern =
  /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
export const tagPattern = /^\w[\w.-]{0,127}$/;
export const digestPattern = /^sha256:[0-9a-f]{64}$/;
export const upstreamPattern = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
export const maximumRepositoryLength = 255;
