/**
 * Request smuggling, by its published classes: `HTTP Request Smuggling` (Linhart and others, 2005),
 * `HTTP Desync Attacks` (Kettle, 2019) and its successors on HTTP/2 (2021), browsers (2022) and
 * expectations (2025), `Funky chunks` (2025) on chunk extensions and line ends, and the rules of RFC
 * 9112, 11.2. For parsers, and for whole proxies in front of real backends.
 */
import { CHUNKS } from './chunks.ts'
import { HEADS } from './heads.ts'
import { LENGTHS } from './lengths.ts'
import type { Payload } from './payload.ts'

export const CORPUS: readonly Payload[] = [...LENGTHS, ...CHUNKS, ...HEADS]
