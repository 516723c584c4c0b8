package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"weir/internal/haproxy"
	"weir/internal/weirtest"
)

// scheduler writes the list of instances that the example's source reads: those of numbers, with a weight for some.
func (e *example) scheduler(weights map[int]int, numbers ...int) {
	e.t.Helper()
	list := []map[string]any{}
	for _, n := range numbers {
		labels := map[string]string{"instance": instance(n), "app": "dummy-app"}
		if weight, ok := weights[n]; ok {
			labels["weight"] = fmt.Sprint(weight)
		}
		list = append(list, map[string]any{"targets": []string{e.instanceAt(n).String()}, "labels": labels})
	}
	raw, err := json.Marshal(list)
	if err == nil {
		err = os.WriteFile(filepath.Join(e.lists, ".new"), raw, 0o600)
	}
	if err == nil {
		err = os.Rename(filepath.Join(e.lists, ".new"), filepath.Join(e.lists, "instances.json"))
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

func instance(n int) string { return fmt.Sprintf("dummy-app-7f4c-%d", n) }

// instanceAt is where an instance of a number is: on one of two machines, a late one on a third.
func (e *example) instanceAt(n int) netip.AddrPort {
	machine := 101 + n%2
	if n >= late {
		machine = 103
	}
	return netip.AddrPortFrom(e.at(machine), uint16(31000+n))
}

// late is the number of the first instance on the third machine.
const late = 40

// to gives the numbers from 0 on.
func to(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// members are the lines of a load balancer's statistics on a pool's servers, by the name of the server.
func (e *example) members(a *runningAgent, pool string) map[string]haproxy.StatRow {
	e.t.Helper()
	rows, err := e.socket(a).Stat(e.t.Context())
	if err != nil {
		e.t.Fatal(err)
	}
	found := map[string]haproxy.StatRow{}
	for _, row := range rows {
		server, _, ok := strings.Cut(row.Service, ".")
		if ok && strings.HasPrefix(row.Proxy, pool+".") && row.Type == haproxy.StatServer {
			found[server] = row
		}
	}
	return found
}

// resumes waits until sessions of one load balancer go on at another.
func (e *example) resumes(host, one, another string) error {
	e.t.Helper()
	cert := e.authority("lbaas")
	weirtest.Eventually(e.t, waitLong, func() error {
		for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
			v := weirtest.NewVisitor(version, host, cert)
			if _, err := v.Visit(e.t.Context(), one+":8443"); err != nil {
				return err
			}
			if resumed, err := v.Visit(e.t.Context(), another+":8443"); err != nil || !resumed {
				return fmt.Errorf("%s: the session goes on: %t %v", tls.VersionName(version), resumed, err)
			}
		}
		return nil
	})
	return nil
}
