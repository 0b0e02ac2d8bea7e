/**
 * Loaded into a service with `--import`. When the parent process ends, even by kill -9, the service stops as on SIGTERM.
 * The parent keeps an IPC channel open only for this.
 */
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'))
process.channel?.unref()
