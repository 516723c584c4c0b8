package hapctl

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// TestSource says whether connections can come from an address: the error wraps ErrNoAddress for one that the machine does
// not have, also where net.ipv4.ip_nonlocal_bind lets programs take it, since no answer would ever come back.
func TestSource(a netip.Addr) error {
	a = a.Unmap()
	if err := bind(netip.AddrPortFrom(a, 0), false); err != nil {
		return fmt.Errorf("connect from %s: %w", a, reasonOf(err))
	}
	if local, err := isLocal(a); err == nil && !local {
		return fmt.Errorf("connect from %s: %w", a, ErrNoAddress)
	}
	return nil
}

// isLocal asks the kernel whether what is sent to an address stays on the machine (rtnetlink(7), RTM_GETROUTE).
func isLocal(a netip.Addr) (bool, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	raw, family := a.AsSlice(), byte(unix.AF_INET)
	if a.Is6() {
		family = unix.AF_INET6
	}
	e := binary.NativeEndian
	question := make([]byte, unix.SizeofNlMsghdr+unix.SizeofRtMsg+unix.SizeofRtAttr, 64)
	e.PutUint16(question[4:], unix.RTM_GETROUTE)
	e.PutUint16(question[6:], unix.NLM_F_REQUEST)
	question[unix.SizeofNlMsghdr], question[unix.SizeofNlMsghdr+1] = family, byte(len(raw)*8)
	attribute := question[unix.SizeofNlMsghdr+unix.SizeofRtMsg:]
	e.PutUint16(attribute, uint16(unix.SizeofRtAttr+len(raw)))
	e.PutUint16(attribute[2:], unix.RTA_DST)
	question = append(question, raw...)
	e.PutUint32(question, uint32(len(question)))
	if err := unix.Sendto(fd, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return false, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil {
		return false, err
	}
	const kind = unix.SizeofNlMsghdr + 7 // rtm_type
	switch {
	case n > kind && e.Uint16(answer[4:]) == unix.RTM_NEWROUTE:
		return answer[kind] == unix.RTN_LOCAL, nil
	case n >= unix.SizeofNlMsghdr+4 && e.Uint16(answer[4:]) == unix.NLMSG_ERROR:
		return false, nil // there is no way to it at all
	}
	return false, fmt.Errorf("ask for the route to %s: an answer of %d bytes that says nothing", a, n)
}
