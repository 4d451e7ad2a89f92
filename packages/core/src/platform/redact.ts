const mark = '[redacted]';

/** Replaces each secret, also in base64, wherever it stands in a line. Secrets under 6 characters are left: they would hit ordinary words. */
export function createRedactor(secrets: readonly string[]): (text: string) => string {
  const needles = secrets
    .filter((secret) => secret.length >= 6)
    .flatMap((secret) => [secret, Buffer.from(secret).toString('base64')])
    .sort((left, right) => right.length - left.length);
  return (text) => needles.reduce((line, needle) => line.replaceAll(needle, mark), text);
}
