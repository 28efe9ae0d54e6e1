"""The driver of the library neonize (on whatsmeow); its names are used in this folder alone."""

from daemon.linked_worker.neonize_driver.driver import open_driver

__all__ = ["open_driver"]
