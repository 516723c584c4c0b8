package weirtest

import (
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"testing"
)

// guardPort is a UDP port that nothing else uses: a bound socket on it marks a network as
// taken, in this process and in every other one on the machine, and a test that dies lets
// it go. It is outside the range from which the kernel picks ports by itself.
const guardPort = 61999

// Prefix returns a /24 of 127.0.0.0/8 that is this test's alone until it ends, unique among
// parallel tests and test processes; all of it is local, so that ports can be bound for real.
func Prefix(t testing.TB) netip.Prefix {
	t.Helper()
	// A random start rather than the next number: an address used a moment ago may still
	// have connections of the last test in the kernel.
	const first, count = 120, 128 // 127.120.0.0 to 127.247.255.0; demos are below
	start := rand.IntN(count * 256)
	for i := range count * 256 {
		n := (start + i) % (count * 256)
		base := netip.AddrFrom4([4]byte{127, byte(first + n/256), byte(n % 256), 0})
		guard := net.UDPAddrFromAddrPort(netip.AddrPortFrom(lastOf(base), guardPort))
		hold, err := net.ListenUDP("udp4", guard)
		if err != nil {
			continue
		}
		t.Cleanup(func() { hold.Close() })
		return netip.PrefixFrom(base, 24)
	}
	t.Fatal("find a network of 127.0.0.0/8 for the test: all are taken; end the test processes that hold them")
	return netip.Prefix{}
}

func lastOf(base netip.Addr) netip.Addr {
	b := base.As4()
	b[3] = 255
	return netip.AddrFrom4(b)
}

// Addr returns an address 127.x.y.1 that is this test's alone until it ends; each call gives
// another one, and 127.x.y.2 to .254 beside it are the test's as well.
func Addr(t testing.TB) string {
	t.Helper()
	return Prefix(t).Addr().Next().String()
}

// TempDir returns a new folder that is removed with the test. Its path is short enough for
// unix sockets (under 60 characters), which t.TempDir does not promise.
func TempDir(t testing.TB) string {
	t.Helper()
	return folder(t, "/tmp")
}

// MemoryDir returns a new folder in memory (tmpfs) that is removed with the test.
func MemoryDir(t testing.TB) string {
	t.Helper()
	return folder(t, "/dev/shm")
}

func folder(t testing.TB, in string) string {
	t.Helper()
	dir, err := os.MkdirTemp(in, "weir")
	if err != nil {
		t.Fatalf("make a folder for the test: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the test's folder: %v", err)
		}
	})
	return dir
}
