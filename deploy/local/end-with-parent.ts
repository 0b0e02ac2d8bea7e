/**
 * Loaded into a service with `--import`: when the process that started it is gone, even by kill -9, the service stops as on SIGTERM.
 * Its parent keeps an IPC channel open for nothing else.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()
