export interface Figure {
  readonly what: string;
  readonly figure: string;
  /** Of what is compared: `goal` says which side of it is good. */
  readonly ratio?: string;
  readonly goal?: string;
  readonly met?: boolean;
}

export function tableOf(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, figure, ratio = '', goal = '', met }) => [
    what,
    figure,
    ratio,
    goal,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  ]);
  const all = [['', 'figure', 'ratio', 'goal', ''], ...rows];
  const widths = all[0]?.map((_, column) =>
    Math.max(...all.map((row) => row[column]?.length ?? 0)),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths?.[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
