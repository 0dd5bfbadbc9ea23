"""Part idle: what clusters that nobody uses cost, beside as many plain PostgreSQL that nobody uses."""
import concurrent.futures
import importlib
import os
import pathlib
import re
import subprocess
import time

import figures
import hosts
import postgres
import programs

KINDS = ('start', 'localcloud', 'server', 'agent', 'node', 'postgres')
PLAIN = 'plain PostgreSQL'
SETTLES = 20  # seconds; autovacuum, checkpoint and re-encryption of what was just made
TICK = os.sysconf('SC_CLK_TCK')


def tree(pids):
    """With all their descendants."""
    rows = [tuple(map(int, line.split())) for line in subprocess.run(['ps', '-eo', 'pid=,ppid='], capture_output=True,
                                                                     text=True).stdout.splitlines()]
    found, more = set(), set(pids)
    while more:
        found |= more
        more = {pid for pid, parent in rows if parent in more} - found
    return found


def cpu_seconds(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wake_ups(pid):
    tasks = pathlib.Path(f'/proc/{pid}/task').iterdir()
    return sum(int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', (task / 'status').read_text(), re.M)[1]) for task in tasks)


def pss_mib(pid):
    return int(re.search(r'^Pss:\s+(\d+)', pathlib.Path(f'/proc/{pid}/smaps_rollup').read_text(), re.M)[1]) / 1024


def of_all(measure, pids):
    """The sum over those that are still there."""
    total = 0
    for pid in pids:
        try:
            total += measure(pid)
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total


def watched(processes, seconds):
    """For each kind of process: how many, per cent of a core, wake-ups in a second, MiB."""
    before = {kind: (of_all(cpu_seconds, pids), of_all(wake_ups, pids)) for kind, pids in processes.items()}
    start = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    return {kind: (len(pids), 100 * (of_all(cpu_seconds, pids) - before[kind][0]) / took,
                   (of_all(wake_ups, pids) - before[kind][1]) / took, of_all(pss_mib, pids)) for kind, pids in processes.items()}


def enabled_cluster(harness, key, number):
    cluster = harness.Cluster(f'idle-{number}')
    cluster.update(key)
    path = f"/api/v1/clusters/{cluster.info()['id']}/cmek"
    api = hosts.Api(harness.host)
    programs.until('re-encryption is done', 300, every=1,
                   is_so=lambda: api.call('GET', path)['region_infos'][0].get('reencryption', {}).get('state') == 'DONE')


def keyhold(place, count, seconds, note):
    harness = hosts.start(place)
    key = importlib.import_module('customer').AwsKey()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: enabled_cluster(harness, key, number), range(count)))
    note(f'{count} clusters are under their key')
    time.sleep(seconds and SETTLES)
    processes = {kind: harness.host.processes(kind) for kind in KINDS[:-1]}
    processes['postgres'] = tree(processes['node']) - set(processes['node'])
    return watched(processes, seconds or 5)


def plain(place, count, seconds):
    instances = [postgres.Instance(place, f'plain-{i}', place.directory(f'plain-{i}', 'postgres')) for i in range(count)]
    time.sleep(seconds and SETTLES)
    roots = {instance.process.pid for instance in instances}
    return watched({PLAIN: tree(roots) - roots}, seconds or 5)  # without runuser


def measure(options, note):
    count, seconds = (2, 0) if options.quick else (20, 120)
    found = {}
    with programs.Place() as place:
        found.update(keyhold(place, count, seconds, note))
    with programs.Place() as place:
        found.update(plain(place, count, seconds))
    ours = [found[kind] for kind in KINDS]
    found['all of Keyhold'] = tuple(map(sum, zip(*ours)))
    lines = [[kind, str(n), f'{cpu:.2f}', f'{cpu / count:.3f}', f'{wakes:.1f}', f'{mib:.1f}', f'{mib / count:.1f}']
             for kind, (n, cpu, wakes, mib) in found.items()]
    text = figures.listing(f'{count} clusters that nobody uses, watched for {seconds or 5} s, at --probe-interval 2s; CPU in per cent of a core',
                           ['', 'processes', 'CPU', 'for each cluster', 'wake-ups/s', 'PSS, MiB', 'for each cluster'], lines)
    rows = [{'what': what, 'unit': unit, 'subjects': {kind: {'median': of[i] / count} for kind, of in found.items()}}
            for i, (what, unit) in enumerate((('CPU of a cluster', '% of a core'), ('wake-ups of a cluster', '/s'),
                                              ('memory of a cluster', 'MiB')), 1)]
    return text, rows
