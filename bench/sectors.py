"""Part crypto: the store's sectors beside OpenSSL's AES-256-GCM of the same size, on one core."""
import json

import figures
import programs
from figures import Row

NAMES = {'seal': ('StoreSeal', 'RawOpenSsl/Seal'), 'open': ('StoreOpen', 'RawOpenSsl/Open')}
STORE, RAW = 'store', 'OpenSSL'


def speeds(benchmark, seconds):
    """Bytes per second of one benchmark, on whatever core it gets."""
    out = programs.run('taskset', '-c', '0', programs.BIN / 'crypto_bench', f'--benchmark_filter=^{benchmark}$',
                       f'--benchmark_min_time={seconds}', '--benchmark_format=json')
    return json.loads(out)['benchmarks'][0]['bytes_per_second'] / 1e6


def measure(options, note):
    seconds = 0.05 if options.quick else 1
    rows = [Row(f'{what} a block of 4048 bytes', 'MB/s',
                lambda subject, names=names: speeds(names[0 if subject == STORE else 1], seconds), '>= 0.95')
            for what, names in NAMES.items()]
    figures.take(rows, [RAW, STORE], 1 if options.quick else max(options.rounds, 9), note)
    return figures.table("Blocks, by OpenSSL's cipher alone and by the store, on one core", rows, [RAW, STORE], RAW), figures.as_json(rows, RAW)
