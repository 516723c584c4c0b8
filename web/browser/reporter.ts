import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node'

// One line of standard output for what became of each script: e2e/console_test.go makes a subtest of it. One that passed has
// errors if it did so the second time.
function tell(file: string, name: string, took: number, errors: readonly { message?: string; stack?: string }[], passed = errors.length === 0) {
  const said = errors.map((e) => (e.stack?.includes(e.message ?? '') ? e.stack : `${e.message}\n${e.stack ?? ''}`))
  process.stdout.write(`\nweir-result ${JSON.stringify({ file: file.replace(/\.test\.ts$/, '').replace(/^browser\//, ''), name, took: Math.round(took), passed, said })}\n`)
}

export default class Lines implements Reporter {
  onTestCaseResult(test: TestCase) {
    const result = test.result()
    if (result.state === 'skipped') tell(test.module.relativeModuleId, test.fullName, 0, [{ message: 'it was skipped' }])
    else tell(test.module.relativeModuleId, test.fullName, test.diagnostic()?.duration ?? 0, result.errors ?? [], result.state === 'passed')
  }

  onTestModuleEnd(module: TestModule) {
    if (module.errors().length > 0) tell(module.relativeModuleId, 'loads', 0, module.errors())
  }

  onTestRunEnd(_: readonly TestModule[], unhandled: readonly SerializedError[]) {
    if (unhandled.length > 0) tell('run', 'ends with no error that nobody handled', 0, unhandled)
  }

  onUserConsoleLog(log: { content: string }) {
    process.stderr.write(log.content)
  }
}
