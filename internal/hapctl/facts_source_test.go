package hapctl

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"

	"weir/internal/weirtest"
)

// Ports are counted for each pair of a source and a server's address: another source for a line of the same server makes as
// many connections more possible, one for another server's line none. Here a source has ten ports.
func TestFactSourcePorts(t *testing.T) {
	if !weirtest.InNetwork(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40009"), 0); err != nil {
		t.Fatal(err)
	}
	for _, h := range weirtest.HAProxies(t) {
		t.Run(h.Version, func(t *testing.T) {
			l := newLab(t, h, "")
			frontends := ""
			wants := []struct {
				name    string
				servers []string // address and source
				most    int
			}{
				{"none", []string{":9000"}, 10},
				{"two servers", []string{":9001", ":9002"}, 20},
				{"one source", []string{":9003 source 127.9.0.1", ":9004 source 127.9.0.1"}, 20},
				{"two sources", []string{":9005 source 127.9.0.1", ":9005 source 127.9.0.2"}, 20},
				{"a range", []string{":9006 source 127.9.0.1:50000-50003"}, 4},
			}
			listening := map[int]bool{}
			for i, w := range wants {
				frontends += fmt.Sprintf("listen l%d\n  mode tcp\n  bind unix@run/l%d\n  balance roundrobin\n  option redispatch 1\n", i, i)
				for j, s := range w.servers {
					frontends += fmt.Sprintf("  server s%d ADDR%s\n", j, s)
					var port int
					if _, err := fmt.Sscanf(s, ":%d", &port); err != nil {
						t.Fatal(err)
					}
					if !listening[port] {
						listening[port] = true
						weirtest.NewTCPOrigin(t, fmt.Sprintf("%s:%d", l.addr, port), "hello")
					}
				}
			}
			l.config(frontends)
			l.start()
			for i, w := range wants {
				got := 0
				for range w.most + 5 {
					c, err := net.Dial("unix", fmt.Sprintf("%s/run/l%d", l.dir, i))
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					if b := make([]byte, 5); readAll(c, b) == nil {
						got++
					}
				}
				if got != w.most {
					t.Errorf("%s: %d connections at a time, not %d", w.name, got, w.most)
				}
			}
		})
	}
}

func readAll(c net.Conn, b []byte) error {
	_, err := io.ReadFull(c, b)
	return err
}
