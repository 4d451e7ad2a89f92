/**
 * Replaces `$(NAME)` as Kubernetes does for `args`: an unknown name stays as it is,
 * and `$$(NAME)` becomes `$(NAME)`.
 */
export function expandVariables(
  text: string,
  environment: Readonly<Record<string, string>>,
): string {
  return text.replace(/\$(?:\$|\(([^()$]+)\))/g, (found, name: string | undefined) => {
    if (name === undefined) return '$';
    return Object.hasOwn(environment, name) ? (environment[name] ?? found) : found;
  });
}
