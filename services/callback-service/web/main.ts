import { html } from 'htm/preact'
import { render } from 'preact'
import { App } from './app.ts'
import { followScheme } from './scheme.ts'

// Before anything is painted, so that no other colours show first.
followScheme()
render(html`<${App} />`, document.body)
