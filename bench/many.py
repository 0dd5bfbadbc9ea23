"""Part many: a store of many files, from its mount to its unmount."""
import subprocess
import time

import figures
import programs

SIZES = (1000, 100_000, 1_000_000)
HEAD = ['files', 'mount s', 'after a kill s', 'one file s', 'all files s', 'MiB mounted', 'MiB, all known', 'umount s']


def timed(work):
    start = time.monotonic()
    work()
    return time.monotonic() - start


class Mounted:
    def __init__(self, place, below, above):
        self.above = above
        self.helper = programs.BIN / 'store_mount_helper'
        self.process = place.start(self.helper, below, above, stdout=subprocess.PIPE, text=True)
        self.took = timed(lambda: self.process.stdout.readline())  # "ready"

    def mib(self):
        for line in open(f'/proc/{self.process.pid}/status'):
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) / 1024
        raise programs.Failed('the mount has no memory')

    def walk(self):
        """Asks for every file's attributes, as a backup does; how many there are."""
        return len(programs.run('find', self.above, '-type', 'f', '-size', '+0c', '-printf', '.'))

    def kill(self):
        self.process.kill()
        self.process.wait()
        programs.run('umount', '-l', self.above)

    def end(self):
        programs.run('umount', self.above)
        self.process.wait()


def figures_of(place, files, note):
    below, above = place.directory(f'{files}-below'), place.directory(f'{files}-mount')
    note(f'{files:,} files are made')
    programs.run(programs.BIN / 'store_fill', below, files)
    first = Mounted(place, below, above)
    (above / 'new').write_text('not yet in the register\n')
    first.kill()
    killed = Mounted(place, below, above)
    killed.end()
    mounted = Mounted(place, below, above)
    told = {'mount_s': mounted.took, 'mount_after_kill_s': killed.took, 'mib_mounted': mounted.mib(),
            'one_file_s': timed(lambda: (above / '0' / '0').read_bytes())}
    note('every file is looked at')
    found = []
    told['all_files_s'] = timed(lambda: found.append(mounted.walk()))
    if found != [files + 1]:
        raise programs.Failed(f'{found[0]} files of {files + 1} are there')
    told['mib_all_known'] = mounted.mib()
    told['umount_s'] = timed(mounted.end)
    return told


def measure(options, note):
    lines, document = [], []
    for files in (100,) if options.quick else SIZES:
        with programs.Place() as place:
            told = figures_of(place, files, note)
        names = ('mount_s', 'mount_after_kill_s', 'one_file_s', 'all_files_s', 'mib_mounted', 'mib_all_known', 'umount_s')
        lines.append([f'{files:,}', *(f'{told[name]:.3g}' for name in names)])
        note('; '.join(f'{name} {cell}' for name, cell in zip(HEAD, lines[-1])))
        document.append({'what': f'{files} files', 'subjects': {'Keyhold': {'median': told['mount_s'], **told}}})
    return figures.listing('A store of many files (at most 1 s for the mount of a million)', HEAD, lines), document
