#!/bin/sh
# Run a program without address randomisation where that may be switched off: older ThreadSanitizer runtimes find their
# shadow's place taken on kernels that randomise more bits (vm.mmap_rnd_bits 32).
# SPDX-License-Identifier: MIT
setarch -R true 2>/dev/null && exec setarch -R "$@"
exec "$@"
