"""Part probes: what the probes of many nodes cost one machine, and how evenly they ask."""
import json

import figures
import hosts
import programs

HEAD = ['key watches, interval', 'probes per watch and hour', 'failed', 'CPU ms per probe', 'cores', 'MiB', 'in 100 ms: mean', 'most',
        'p50 ms', 'p99 ms']
FIGURES = (('probes_per_watch_and_hour', '{:,.0f}'), ('failed', '{}'), ('cpu_ms_per_probe', '{:.2f}'), ('cores', '{:.2f}'),
           ('resident_mib', '{:.0f}'), ('in_100_ms_mean', '{:.1f}'), ('in_100_ms_most', '{}'), ('took_ms_p50', '{:.1f}'),
           ('took_ms_p99', '{:.1f}'))


def line(told, interval):
    cells = [form.format(told[name]) for name, form in FIGURES]
    cells[1] += f' of {told["probes"]:,}'
    return [f'{told["watches"]:,}, {interval} s', *cells]


def measure(options, note):
    seconds, sizes = (2, ((20, 1),)) if options.quick else (120, ((1000, 2), (1000, 10), (200, 2)))
    lines, document = [], []
    with programs.Place() as place:
        harness = hosts.start(place)
        environment = hosts.agents_environment(harness.host)
        spec = harness.Key().spec()
        for watches, interval in sizes:
            told = json.loads(programs.run(programs.BIN / 'keyhold_probes', spec, watches, seconds, interval * 1000, env=environment))
            lines.append(line(told, interval))
            note('; '.join(f'{name} {cell}' for name, cell in zip(HEAD, lines[-1])))
            document.append({'what': lines[-1][0], 'interval_s': interval, 'subjects': {'Keyhold': {'median': told['cpu_ms_per_probe'], **told}}})
    return figures.listing(f'Probes of one process for {seconds} s, each watch with a wrap of its own', HEAD, lines), document
