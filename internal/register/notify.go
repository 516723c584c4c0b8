package register

import (
	"strconv"
	"time"
)

// status tells people who look with systemctl.
func (a *agent) status(text string) { a.manager.Tell("STATUS=" + printable(text)) }

// stopping says that it takes as long as that to stop.
func (a *agent) stopping(within time.Duration) {
	a.manager.Tell("STOPPING=1", "EXTEND_TIMEOUT_USEC="+strconv.FormatInt(within.Microseconds(), 10))
}
