/** How far a server has stopped. Routes and health checks, which are made before the server, read it. Only the server writes it. */
export class Shutdown {
  /** The stop has begun. Readiness is false, and the port still answers. */
  isDraining = false
  /** The port is closed. The service refuses requests that still arrive on open connections. */
  isClosed = false
}
