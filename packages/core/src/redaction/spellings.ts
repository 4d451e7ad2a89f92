const shortestEncoded = 6;

/** A secret as it stands in logs: as it is, and in what it is commonly wrapped up in. */
export function spellingsOf(secret: string): readonly string[] {
  const json = JSON.stringify(secret).slice(1, -1);
  const encoded = [
    ...base64Of(secret),
    Buffer.from(secret).toString('hex'),
    encodeURIComponent(secret.toWellFormed()),
    json,
    // Inside JSON inside JSON, as in a log line that quotes a response.
    JSON.stringify(json).slice(1, -1),
  ];
  const long = encoded.filter((spelling) => spelling.length >= shortestEncoded);
  return [...new Set([secret, ...long])];
}

/**
 * The base64 of whatever text has the secret in it: at each of the three places where it can begin within a group of
 * three bytes, without the characters that its neighbours have a part in.
 */
function base64Of(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((shift) => {
    const whole = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    const first = Math.ceil((shift * 8) / 6);
    const end = Math.floor(((shift + bytes.length) * 8) / 6);
    const standard = whole.slice(first, end);
    return [standard, standard.replaceAll('+', '-').replaceAll('/', '_')];
  });
}
