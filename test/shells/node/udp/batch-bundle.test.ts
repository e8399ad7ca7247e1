import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import * as esbuild from 'esbuild'
import { expect, onTestFinished, test } from 'vitest'
import { batchProblem } from '../../../../shells/node/udp/batch-host.ts'
import { BatchFixture, describeBatch } from './batch-fixture.ts'
import { backend, connectClient, startEcho } from './dgram-fixture.ts'

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url))

describeBatch('the worker as one file', () => {
  test('needs nothing but koffi beside it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'weir-udp-'))
    onTestFinished(() => rm(directory, { recursive: true }))
    await mkdir(join(directory, 'node_modules'))
    for (const name of ['koffi', '@koromix']) {
      await symlink(join(ROOT, 'node_modules', name), join(directory, 'node_modules', name))
    }
    const outfile = join(directory, 'udp-worker.mjs')
    const { metafile } = await esbuild.build({
      absWorkingDir: ROOT,
      entryPoints: ['shells/node/udp/batch/worker.ts'],
      outfile,
      bundle: true,
      format: 'esm',
      platform: 'node',
      external: ['koffi'],
      metafile: true,
    })
    const packages = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules'))
    expect(packages).toEqual([])
    const worker = pathToFileURL(outfile)
    expect(await batchProblem(worker)).toBeUndefined()
    const echo = await startEcho()
    const fixture = new BatchFixture({ worker, backends: [backend('a', echo.port)] })
    const client = await connectClient(await fixture.listen())
    await client.exchange('bundled', 'bundled')
    expect(fixture.notices).toEqual([])
  })
})
