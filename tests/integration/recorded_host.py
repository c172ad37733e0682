"""recorded_host.py - a small host as files: what a virtual machine in a test room does not have.

    tree = recorded_host.make(folder)
    fengsui-probe --procfs TREE/proc --sysfs TREE/sys --rootfs TREE
"""
FILES = {
    "proc/stat": "cpu  100 0 50 1000 5 0 1 0 0 0\ncpu0 100 0 50 1000 5 0 1 0 0 0\nintr 1000\n"
                 "ctxt 5000\nbtime 1772300000\nprocesses 321\nprocs_running 1\nprocs_blocked 0\n",
    "proc/loadavg": "0.10 0.20 0.30 1/100 321\n",
    "proc/uptime": "1000.00 900.00\n",
    "proc/meminfo": "MemTotal: 1000000 kB\nMemFree: 400000 kB\nMemAvailable: 700000 kB\n"
                    "Buffers: 10000 kB\nCached: 200000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n",
    "sys/class/hwmon/hwmon0/name": "coretemp\n",
    "sys/class/hwmon/hwmon0/temp1_input": "45000\n",
    "sys/class/hwmon/hwmon0/temp1_label": "Package id 0\n",
    "sys/class/hwmon/hwmon0/temp1_max": "90000\n",
    "sys/class/hwmon/hwmon0/temp1_crit": "100000\n",
    "sys/class/hwmon/hwmon0/fan1_input": "1200\n",
    "proc/sys/fs/file-nr": "1024\t0\t1000000\n",
    "proc/mdstat": "Personalities : [raid1]\nmd0 : active raid1 sdb1[1] sda1[0]\n"
                   "      195310144 blocks [2/2] [UU]\n\nunused devices: <none>\n",
    "sys/devices/system/edac/mc/mc0/ce_count": "3\n",
    "sys/devices/system/edac/mc/mc0/ue_count": "0\n",
    "sys/devices/system/edac/mc/mc0/ce_noinfo_count": "0\n",
    "sys/devices/system/edac/mc/mc0/ue_noinfo_count": "0\n",
    "etc/os-release": 'ID=kylin\nNAME="Kylin Linux Advanced Server"\nVERSION_ID="V10"\n'
                      'PRETTY_NAME="Kylin Linux Advanced Server V10"\n',
}


def make(folder):
    """Writes the tree into `folder` and returns that."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder
