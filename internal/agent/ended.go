package agent

import (
	"fmt"

	"weir/internal/haproxy"
)

// end notes that HAProxy has ended although nobody had asked it to.
func (e *engine) end() {
	e.ended.Count++
	e.ended.Last = e.clock()
	e.ended.Why = lastWords(e.process.Err(), e.process.Output())
	e.tickets.runs(nil)
	e.process, e.have, e.lost = nil, haproxy.Config{}, true
}

// lastWords says how a HAProxy ended, with the last line that it wrote.
func lastWords(err error, output []string) string {
	why := "it ended"
	if err != nil {
		why = err.Error()
	}
	if len(output) > 0 {
		why = fmt.Sprintf("%s; its last words: %s", why, output[len(output)-1])
	}
	return why
}
