import { stripVTControlCharacters } from 'node:util';

/** The query of an address: that of a presigned one is as good as a password. */
const query = /(\bhttps?:\/\/[^\s"'?]+)\?[^\s"']*/g;

/** A text from outside as it may stand in a build's status: one line, no control characters, no presigned address, not too long. */
export function forPeople(text: string, maximumCharacters = 600): string {
  const plain = stripVTControlCharacters(text.slice(0, 8 * maximumCharacters))
    .replaceAll(query, '$1')
    .replaceAll(/[\p{Cc}\s]+/gu, ' ')
    .trim()
    .toWellFormed();
  return plain.length > maximumCharacters ? `${plain.slice(0, maximumCharacters)} …` : plain;
}
