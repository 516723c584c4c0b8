package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/hapctl"
	"weir/internal/haproxy"
)

// TakeOver names a HAProxy that somebody else starts and ends, as systemd does, and that the agent is to look after.
type TakeOver struct {
	// Master is the path of the socket of its master; empty for a HAProxy of the agent's own.
	Master string
	// Config is the path of the configuration that it reads.
	Config string
	// LetGo are listeners of the configuration that is found there that may end, as addresses with a port or as they
	// stand in it; "all" for every one.
	LetGo []string
}

// host is the HAProxy of somebody else that an engine looks after.
type host struct {
	want   TakeOver
	binary string
	dir    string // the agent's own
	now    func() time.Time
	record takeover

	// met is who was behind the socket last, away that nobody was.
	met  hapctl.Foreign
	away bool
	// refused is why HAProxy did not take Weir's configuration the last time, which counts until refusedUntil.
	refused      *hostError
	refusedUntil time.Time
	// latest is the configuration of somebody's that was in place last, as far as this run knows.
	latest string
}

// openHost reads what is known of an earlier take-over.
func openHost(o Options) (*host, error) {
	for name, path := range map[string]string{"the socket of HAProxy's master": o.TakeOver.Master, "HAProxy's configuration": o.TakeOver.Config} {
		if !filepath.IsAbs(path) {
			return nil, fmt.Errorf("take over: the path of %s must be absolute, not %q", name, path)
		}
	}
	if o.StopWithAgent {
		return nil, errors.New("take over: a HAProxy of somebody else can't be ended together with the agent")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	if socket := filepath.Join(dir, haproxyDir, haproxy.AdminSocket); len(socket) > longestSocket || strings.ContainsAny(socket, "\n\r\x00") {
		return nil, fmt.Errorf("take over: HAProxy can't listen at a socket of the path %q: give the agent a folder with a path of at most %d bytes", socket, longestSocket-len(socket)+len(dir))
	}
	h := &host{want: o.TakeOver, binary: o.HAProxy, dir: dir, now: o.Clock}
	// HAProxy's own configuration may be a link; what it leads to is what is written.
	if real, err := filepath.EvalSymlinks(h.want.Config); err == nil {
		h.want.Config = real
	}
	if h.record, err = readTakeover(dir); err != nil {
		return nil, err
	}
	if r := h.record; !r.Taken.IsZero() && r.HandedBack.IsZero() && (r.Config != h.want.Config || r.Master != h.want.Master) {
		return nil, fmt.Errorf("take over: the HAProxy of %s and %s was taken over in %s: hand it back first, with: weir agent handback --dir %s", r.Master, r.Config, dir, dir)
	}
	return h, nil
}

// longestSocket is what HAProxy can make of a path while it binds to it under another name.
const longestSocket = 90

// hostError says why an agent does not look after a HAProxy of somebody else, or not yet.
type hostError struct {
	text string
	// again is when to try again.
	again time.Duration
	// handedBack says that somebody wants it so.
	handedBack bool
	// failed says that it is no state to begin from.
	failed bool
}

func (e *hostError) Error() string { return e.text }

// The pauses while a HAProxy of somebody else is not there, or is not as it must be.
const (
	awayPause    = time.Second
	unsuitedWait = 10 * time.Second
	refusedPause = 5 * time.Minute
)

// meet looks who is behind the socket of the master, as long as nobody is attached to. It gives a *hostError when there is
// nothing to do but wait.
func (h *host) meet(ctx context.Context) error {
	if r := h.record; !r.HandedBack.IsZero() {
		return &hostError{text: r.tellHandedBack(h.dir), again: reportEvery, handedBack: true}
	}
	met, err := hapctl.Survey(ctx, h.want.Master)
	h.away = errors.Is(err, hapctl.ErrAway)
	switch {
	case h.away && h.record.Taken.IsZero():
		return &hostError{text: fmt.Sprintf("nobody answers at %s, the socket of HAProxy's master: HAProxy must run as a master with workers (-W or -Ws) and with -S %s; it is waited for", h.want.Master, h.want.Master), again: awayPause}
	case h.away:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return &hostError{text: fmt.Sprintf("the agent may not use %s, the socket of HAProxy's master: start HAProxy with -S %s,mode,660,group,GROUP where GROUP is one of the agent's, and until then let it in with setfacl -m u:USER:rw %s", h.want.Master, h.want.Master, h.want.Master), again: unsuitedWait}
	case err != nil:
		return err
	}
	if wrong := h.unsuited(met); wrong != "" {
		return &hostError{text: "HAProxy is not taken over: " + wrong, again: unsuitedWait}
	}
	h.met = met
	return nil
}

// waited is what an agent says of a HAProxy that is gone, and that somebody else must start.
func (h *host) waited() error {
	return &hostError{text: fmt.Sprintf("HAProxy is not running: nobody answers at %s. Whoever looks after it must start it, as with systemctl start haproxy; %s holds what is wanted", h.want.Master, h.want.Config), again: awayPause}
}

// uid is the account that HAProxy's master runs as.
func (h *host) uid() int {
	if h.met.Pid != 0 {
		return h.met.UID
	}
	return h.record.UID
}

// socketUser is whom the run-time socket must belong to so that the agent may use it; "" when it does anyway.
func (h *host) socketUser() string {
	if h.uid() == os.Geteuid() {
		return ""
	}
	return strconv.Itoa(os.Geteuid())
}

// unsuited says what about a HAProxy keeps it from being taken over, and what to do; "" for nothing.
func (h *host) unsuited(f hapctl.Foreign) string {
	version, err := haproxy.ParseVersion(f.Version)
	switch {
	case err != nil || !version.AtLeast(haproxy.Oldest.Major, haproxy.Oldest.Minor):
		return fmt.Sprintf("it is of version %s; the oldest that Weir runs is %s", f.Version, haproxy.Oldest)
	case f.UID != 0 && f.UID != os.Geteuid():
		return fmt.Sprintf("its master runs as user %d, which can't read %s: run the agent as the same user, or HAProxy as root", f.UID, h.dir)
	}
	if f.UID == 0 && os.Geteuid() != 0 {
		for _, need := range []struct {
			capability int
			name       string
		}{{unix.CAP_DAC_OVERRIDE, "CAP_DAC_OVERRIDE"}, {unix.CAP_CHOWN, "CAP_CHOWN"}} {
			if !f.Can(need.capability) {
				return fmt.Sprintf("its master lacks %s, which it needs to use the files and the socket in %s: give it to its unit (CapabilityBoundingSet), or run the agent as root", need.name, h.dir)
			}
		}
	}
	for _, check := range []func(hapctl.Foreign) string{h.wrongProgram, h.wrongFiles, h.outOfReach, h.wrongPlace} {
		if wrong := check(f); wrong != "" {
			return wrong
		}
	}
	return ""
}

// wrongProgram is for a master that will execute another program than the one that checks configurations here.
func (h *host) wrongProgram(f hapctl.Foreign) string {
	started, err := filepath.EvalSymlinks(f.Args[0])
	if err != nil || !filepath.IsAbs(f.Args[0]) {
		return fmt.Sprintf("it was started as %q, which does not name one program: start it by an absolute path", f.Args[0])
	}
	if ours, err := filepath.EvalSymlinks(h.binary); err != nil || ours != started {
		return fmt.Sprintf("it was started as %s, and the agent would check configurations with %s: name the same with --haproxy", f.Args[0], h.binary)
	}
	return ""
}

// wrongFiles is for a master that reads another configuration, or more than one file.
func (h *host) wrongFiles(f hapctl.Foreign) string {
	found := false
	var others []string
	for _, path := range configsOf(f.Args) {
		if !filepath.IsAbs(path) {
			if f.Folder == "" {
				return fmt.Sprintf("it reads %s of a folder that the agent may not know: start it with the absolute path", path)
			}
			path = filepath.Join(f.Folder, path)
		}
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if path == h.want.Config {
			found = true
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			inside, err := filepath.Glob(filepath.Join(path, "*.cfg"))
			if err == nil {
				others = append(others, inside...)
				continue
			}
		}
		others = append(others, path)
	}
	switch {
	case !found:
		return fmt.Sprintf("it does not read %s: it was started as %s", h.want.Config, strings.Join(f.Args, " "))
	case len(others) > 0:
		return fmt.Sprintf("beside %s it reads %s, which Weir would not replace: put them into that one file, or move them away, and reload HAProxy", h.want.Config, strings.Join(others, ", "))
	}
	return ""
}

// configsOf gives what -f names.
func configsOf(args []string) []string {
	var list []string
	for i := 1; i < len(args); i++ {
		switch {
		case args[i] == "-f":
			for i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				list = append(list, args[i])
			}
		case args[i] == "--":
			list = append(list, args[i+1:]...)
			return list
		}
	}
	return list
}

// outOfReach is for a HAProxy that sees other files than the agent, as far as this account may know.
func (h *host) outOfReach(f hapctl.Foreign) string {
	var there, here unix.Stat_t
	inside := filepath.Join("/proc", strconv.Itoa(f.Pid), "root", h.dir)
	err := unix.Stat(inside, &there)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return "" // then HAProxy says so when it reads its files
	}
	if err == nil {
		err = unix.Stat(h.dir, &here)
	}
	if err != nil || there.Dev != here.Dev || there.Ino != here.Ino {
		return fmt.Sprintf("it does not see %s: its unit hides it (RootDirectory, ProtectHome, PrivateTmp); choose another folder, or let the unit see it", h.dir)
	}
	var fsys unix.Statfs_t
	if unix.Statfs(inside, &fsys) == nil && fsys.Flags&unix.ST_RDONLY != 0 {
		return fmt.Sprintf("it may only read %s, and could not listen at its run-time socket there: add ReadWritePaths=%s to its unit", h.dir, h.dir)
	}
	return ""
}

// wrongPlace is for a configuration that the agent could not replace whole.
func (h *host) wrongPlace(hapctl.Foreign) string {
	info, err := os.Stat(h.want.Config)
	switch dir := filepath.Dir(h.want.Config); {
	case err != nil:
		return err.Error()
	case !info.Mode().IsRegular():
		return h.want.Config + " is not a regular file"
	case unix.Access(h.want.Config, unix.R_OK) != nil:
		return fmt.Sprintf("the agent may not read %s: run chgrp GROUP %s and chmod g+r %s, where GROUP is one of the agent's", h.want.Config, h.want.Config, h.want.Config)
	case unix.Access(dir, unix.W_OK|unix.X_OK) != nil:
		return fmt.Sprintf("the agent may not make files in %s, where it must replace HAProxy's configuration whole: run chgrp GROUP %s and chmod g+rwx %s, where GROUP is one of the agent's", dir, dir, dir)
	}
	return ""
}

// isOurs says whether a configuration is one that this agent has written.
func (h *host) isOurs(text string) bool {
	socket := h.socket()
	return slices.ContainsFunc(strings.Split(text, "\n"), func(line string) bool {
		return strings.Contains(line, "stats socket") && strings.Contains(line, socket)
	})
}
