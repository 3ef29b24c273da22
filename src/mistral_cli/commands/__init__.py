"""One file per command: flags -> settings -> load -> hand over."""
