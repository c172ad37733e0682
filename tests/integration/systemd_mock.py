#!/usr/bin/python3
"""systemd_mock.py - plays systemd on a real message bus: python3 systemd_mock.py ADDRESS WORLD

WORLD is a JSON file, read anew at every call, so that a test changes the host by writing it:

    {"Version": "252", "SystemState": "running", "Virtualization": "kvm",
     "units": {"sshd.service": {"load": "loaded", "active": "active", "Type": "notify"}}}

A property that the file does not have is unknown, as to an old systemd.
"""
import json
import sys

import dbus
import dbus.exceptions
import dbus.mainloop.glib
import dbus.service
from gi.repository import GLib

SERVICE = "org.freedesktop.systemd1"
PATH = "/org/freedesktop/systemd1"
UNSIGNED_32 = {"NRestarts", "NAccepted", "NConnections", "NRefused"}


def escaped(name):
    return "".join(c if c.isalpha() and c.isascii() or (c.isdigit() and i > 0)
                   else "".join(f"_{b:02x}" for b in c.encode()) for i, c in enumerate(name))


def world():
    with open(sys.argv[2], encoding="utf-8") as file:
        return json.load(file)


class Manager(dbus.service.FallbackObject):
    @dbus.service.method(SERVICE + ".Manager", out_signature="a(ssssssouso)")
    def ListUnits(self):  # pylint: disable=invalid-name
        return [(name, f"the unit {name}", unit.get("load", "loaded"), unit["active"],
                 unit.get("sub", "running"), "", f"{PATH}/unit/{escaped(name)}", 0, "", "/")
                for name, unit in world()["units"].items()]

    @dbus.service.method("org.freedesktop.DBus.Properties", in_signature="ss",
                         out_signature="v", path_keyword="path")
    def Get(self, interface, name, path):  # pylint: disable=invalid-name
        now = world()
        owner = now if path == PATH else next(
            (u for n, u in now["units"].items() if f"{PATH}/unit/{escaped(n)}" == path), None)
        if owner is None:
            raise dbus.exceptions.DBusException(
                f"no {path}", name="org.freedesktop.DBus.Error.UnknownObject")
        if name not in owner:
            raise dbus.exceptions.DBusException(
                f"no {interface}.{name}", name="org.freedesktop.DBus.Error.UnknownProperty")
        value = owner[name]
        if isinstance(value, str):
            return value
        return dbus.UInt32(value) if name in UNSIGNED_32 else dbus.UInt64(value)


def main():
    dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
    bus = dbus.bus.BusConnection(sys.argv[1])
    name = dbus.service.BusName(SERVICE, bus)
    manager = Manager(bus, PATH)
    print("ready", name, manager, flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
