type Goal = { readonly atLeast: number } | { readonly atMost: number } | { readonly under: number };

export interface Goals {
  /** What to print beside the figure: what it should be, and whether it is. */
  judge(figure: number, goal: Goal, unit?: string): string;
  /** How many of the judged figures were not as they should be. */
  readonly missed: number;
}

export function createGoals(): Goals {
  let missed = 0;
  return {
    judge(figure, goal, unit = '') {
      const [words, limit, isMet] =
        'atLeast' in goal
          ? ['at least', goal.atLeast, figure >= goal.atLeast]
          : 'atMost' in goal
            ? ['at most', goal.atMost, figure <= goal.atMost]
            : ['under', goal.under, figure < goal.under];
      if (!isMet) missed += 1;
      return `(goal: ${words} ${limit}${unit}) ${isMet ? 'met' : 'MISSED'}`;
    },
    get missed() {
      return missed;
    },
  };
}
