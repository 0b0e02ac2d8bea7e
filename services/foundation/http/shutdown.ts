/** How far a server has stopped. Only the server writes it. Routes and health checks read it, because they exist before the server. */
export class Shutdown {
  /** The stop has begun. Readiness is false, and the port still answers. */
  isDraining = false
  /** The port is closed. The service refuses requests that still arrive on open connections. */
  isClosed = false
}
