//! For tests of hosts: plans made by hand from component bytes, and faults in the cache of compiled code.
