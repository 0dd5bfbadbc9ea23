"""Rows of figures, taken in interleaved rounds and printed as tables.

A shared machine gets slower and faster under a measurement. So every round measures all subjects, one after the other,
beginning with another one each time, and what is compared are medians over rounds and the quartiles of each round's ratio.
"""
import dataclasses
import json
import statistics
import sys


@dataclasses.dataclass
class Row:
    what: str
    unit: str
    measure: object            # called with a subject; a number, or None where the subject has none
    target: str = ''           # in words, as issue trackers have it: '>= 0.97'
    more_is_better: bool = True
    rounds: int = 0            # 0: as many as the part was given
    samples: dict = dataclasses.field(default_factory=dict)

    def ratios(self, subject, base):
        """Per round: 1 is as fast as `base`, less is slower."""
        mine, others = self.samples.get(subject, []), self.samples.get(base, [])
        return [(m / b if self.more_is_better else b / m) for m, b in zip(mine, others) if m and b]

    def median(self, subject):
        samples = self.samples.get(subject)
        return statistics.median(samples) if samples else None

    def ratio(self, subject, base):
        mine, other = self.median(subject), self.median(base)
        if not mine or not other:
            return None
        return mine / other if self.more_is_better else other / mine


def take(rows, subjects, rounds, note):
    """Fills the rows. A subject that fails a row is left out of it, and said so."""
    for row in rows:
        for turn in range(row.rounds or rounds):
            shift = turn % len(subjects)
            for subject in subjects[shift:] + subjects[:shift]:
                if row.samples.get(subject) is None and subject in row.samples:
                    continue
                try:
                    figure = row.measure(subject)
                except Exception as error:  # one subject's failure must not cost the others their figures
                    note(f'{row.what}: {subject}: {error}')
                    figure = None
                if figure is None:
                    row.samples[subject] = None
                else:
                    row.samples.setdefault(subject, []).append(figure)
        note(f'{row.what}: ' + ', '.join(f'{s} {number(row.median(s))}' for s in subjects if row.median(s) is not None))


def number(value):
    if value is None:
        return '-'
    for limit, form in ((1000, '{:,.0f}'), (10, '{:.1f}'), (0, '{:.3g}')):
        if abs(value) >= limit:
            return form.format(value)


def spread(values):
    """Half of what lies between the quartiles."""
    if len(values) < 3:
        return ''
    low, _, high = statistics.quantiles(values, n=4)
    return f' ±{(high - low) / 2:.2f}'.replace('0.', '.')


def columns(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for line in lines:
        text.append('  '.join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip())
    text.insert(1, '-' * max(len(line) for line in text))
    return text


def table(title, rows, subjects, base, targets=True):
    """`base` in its unit, everybody else as ratio to it."""
    others = [s for s in subjects if s != base]
    targets = targets and any(row.target for row in rows)
    lines = [['', base] + others + (['at least'] if targets else [])]
    for row in rows:
        cells = [row.what, f'{number(row.median(base))} {row.unit}']
        for subject in others:
            ratio = row.ratio(subject, base)
            cells.append('-' if ratio is None else f'{ratio:.2f}' + spread(row.ratios(subject, base)))
        lines.append(cells + ([row.target] if targets else []))
    return [title] + columns(lines)


def listing(title, heads, lines):
    return [title] + columns([heads] + lines)


def as_json(rows, base):
    return [{'what': row.what, 'unit': row.unit, 'target': row.target, 'more_is_better': row.more_is_better,
             'subjects': {s: {'median': row.median(s), 'ratio': row.ratio(s, base), 'samples': samples}
                          for s, samples in row.samples.items() if samples}} for row in rows]


def progress(text):
    print(f'  {text}', file=sys.stderr, flush=True)


def dump(document, file):
    json.dump(document, file, indent=1)
    file.write('\n')
