package register

import (
	"net"
	"strconv"
	"strings"
	"time"
)

// notifier tells systemd how things are, where that has started the process and asks for it.
type notifier string

func (n notifier) tell(lines ...string) {
	if n == "" {
		return
	}
	path := string(n)
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return // it is a courtesy
	}
	_, _ = conn.Write([]byte(strings.Join(lines, "\n")))
	_ = conn.Close()
}

// status tells people who look with systemctl.
func (n notifier) status(text string) { n.tell("STATUS=" + printable(text)) }

// stopping says that it takes as long as that to stop.
func (n notifier) stopping(within time.Duration) {
	n.tell("STOPPING=1", "EXTEND_TIMEOUT_USEC="+strconv.FormatInt(within.Microseconds(), 10))
}
