import { expect, it } from 'vitest'
import { piecesOf } from './rendered'

const files = {
  'maps/pools.map': 'www/api@1 api\nwww/default@1 web-az1\nold/default@1 web-az10\n',
  'haproxy.cfg': 'global\n    user haproxy\n\nbackend web-az1.9o8g from p\n    option httpchk\n    server a 127.0.0.1:80\n\nbackend web-az10 from p\n    server web-az1-1.32rg 127.0.0.1:81\n    # web-az1 is elsewhere\n',
}

it('finds sections and lines by whole names', () => {
  expect(piecesOf(files, ['web-az1'])).toEqual([
    { file: 'haproxy.cfg', line: 4, text: 'backend web-az1.9o8g from p\n    option httpchk\n    server a 127.0.0.1:80' },
    { file: 'maps/pools.map', line: 2, text: 'www/default@1 web-az1' },
  ])
  expect(piecesOf(files, ['web-az1-1']).map((p) => p.text)).toEqual(['    server web-az1-1.32rg 127.0.0.1:81'])
  expect(piecesOf(files, ['www']).map((p) => [p.line, p.text])).toEqual([[1, 'www/api@1 api\nwww/default@1 web-az1']])
  expect(piecesOf(files, ['', 'a.c'])).toEqual([])
})
