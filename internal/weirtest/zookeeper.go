package weirtest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ZooKeeper is a real ZooKeeper server that stands alone.
type ZooKeeper struct {
	t       testing.TB
	java    string
	args    []string
	process *Process
	// Addr is where clients connect.
	Addr string
}

// StartZooKeeper starts a server on 127.0.0.0/8 that ends with the test, and returns once it serves. A missing binary
// fails the test and names the command that gets it.
func StartZooKeeper(t testing.TB) *ZooKeeper {
	t.Helper()
	home := filepath.Join(Root(t), ".tools", "zookeeper")
	found, _ := filepath.Glob(filepath.Join(home, "usr/lib/jvm/*/bin/java"))
	if len(found) == 0 {
		t.Fatalf("find java below %s: there is none; run scripts/programs.sh zookeeper to get it", home)
	}
	dir, host := TempDir(t), Addr(t)
	// The shortest session is two ticks.
	config := fmt.Sprintf("tickTime=500\nmaxSessionTimeout=60000\ndataDir=%s/data\nclientPortAddress=%s\nclientPort=2181\nadmin.enableServer=false\n", dir, host)
	file := filepath.Join(dir, "zoo.cfg")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var jars []string
	for _, name := range []string{"zookeeper", "zookeeper-jute", "slf4j-api", "slf4j-simple", "metrics-core", "snappy-java", "netty-all"} {
		jars = append(jars, filepath.Join(home, "usr/share/java", name+".jar"))
	}
	z := &ZooKeeper{t: t, java: found[0], Addr: net.JoinHostPort(host, "2181"), args: []string{
		"-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dzookeeper.forceSync=no", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		// The last thing that a server does before it serves is to say whether it audits.
		"-Dorg.slf4j.simpleLogger.log.org.apache.zookeeper.audit.ZKAuditProvider=info",
		"-cp", strings.Join(jars, ":"), "org.apache.zookeeper.server.quorum.QuorumPeerMain", file,
	}}
	z.Start()
	return z
}

// Start starts a server that does not run; it has what it had when it ended.
func (z *ZooKeeper) Start() {
	z.t.Helper()
	z.process = Command(z.t, z.java, z.args...)
	// Not by a connection: a server that is not quite up yet stumbles over one, and is slow from then on.
	Eventually(z.t, Patience, func() error {
		if !strings.Contains(z.process.Output(), "ZKAuditProvider") {
			return fmt.Errorf("zookeeper is not up at %s", z.Addr)
		}
		return nil
	})
}

// Stop kills the server, as a machine that loses its power.
func (z *ZooKeeper) Stop() { z.process.Kill() }
