package zookeeper

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"unicode/utf8"

	"weir/internal/discovery"
)

// The bounds of one node's data.
const (
	maxInstance = 64 << 10
	maxDepth    = 8
)

// statuses are those of a ServerSet.
var statuses = map[string]discovery.State{
	"ALIVE":    discovery.Ready,
	"WARNING":  discovery.Ready,
	"STARTING": discovery.NotReady,
	"DEAD":     discovery.NotReady,
	"STOPPED":  discovery.NotReady,
	"STOPPING": discovery.Draining,
}

// readInstance makes an instance of a node's data.
func readInstance(name, path string, data []byte) (discovery.Found, error) {
	data = bytes.TrimSpace(data)
	found := discovery.Found{ID: name, Fields: map[string]string{}}
	switch {
	case len(data) == 0:
		return found, errors.New("it has no data; write host:port or JSON there")
	case len(data) > maxInstance:
		return found, fmt.Errorf("it has %d bytes of data, over %d: %w", len(data), maxInstance, discovery.ErrTooMuch)
	case !utf8.Valid(data):
		return found, errors.New("its data is not text; write host:port or JSON there")
	}
	var err error
	if data[0] == '{' {
		err = readJSON(&found, data)
	} else {
		err = readHostPort(found.Fields, string(data))
	}
	found.Fields["node"], found.Fields["path"] = name, path
	return found, err
}

func readHostPort(fields map[string]string, text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%q is neither host:port nor a JSON object", discovery.Clip(text))
	}
	fields["host"], fields["port"] = host, port
	return checkEndpoint(fields, "")
}

// checkEndpoint says what is wrong with the fields host and port, if they are there.
func checkEndpoint(fields map[string]string, suffix string) error {
	if host, ok := fields["host"+suffix]; ok {
		if _, err := netip.ParseAddr(host); err != nil && !isName(host) {
			return fmt.Errorf("host%s: %q is no address and no name", suffix, discovery.Clip(host))
		}
	}
	if port, ok := fields["port"+suffix]; ok {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return fmt.Errorf("port%s: %q is not 1 to 65535", suffix, discovery.Clip(port))
		}
	}
	return nil
}

func readJSON(found *discovery.Found, data []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return fmt.Errorf("its JSON can't be read: %s", discovery.Clip(err.Error()))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one JSON object")
	}
	if _, ok := object["serviceEndpoint"]; ok {
		if err := readServerSet(found, object); err != nil {
			return err
		}
	}
	if err := flatten(found.Fields, "", object, 1); err != nil {
		return err
	}
	return checkEndpoint(found.Fields, "")
}

// readServerSet takes from the object what ServerSets have there, and leaves the rest.
func readServerSet(found *discovery.Found, object map[string]any) error {
	if err := readEndpoint(found.Fields, "", object["serviceEndpoint"]); err != nil {
		return fmt.Errorf("serviceEndpoint: %w", err)
	}
	if more, ok := object["additionalEndpoints"]; ok && more != nil {
		named, ok := more.(map[string]any)
		if !ok {
			return errors.New("additionalEndpoints: they are no object")
		}
		for name, e := range named {
			if err := readEndpoint(found.Fields, "."+name, e); err != nil {
				return fmt.Errorf("additionalEndpoints: %s: %w", discovery.Clip(name), err)
			}
		}
	}
	if status, ok := object["status"]; ok {
		word, _ := status.(string)
		state, known := statuses[word]
		if !known {
			return fmt.Errorf("status: %q is none of ALIVE, WARNING, STARTING, STOPPING, STOPPED, DEAD", discovery.Clip(fmt.Sprint(status)))
		}
		found.State = state
		found.Fields["status"] = word
	}
	for _, name := range []string{"serviceEndpoint", "additionalEndpoints", "status", "host", "port"} {
		delete(object, name)
	}
	return nil
}

func readEndpoint(fields map[string]string, suffix string, from any) error {
	e, _ := from.(map[string]any)
	host, hasHost := e["host"].(string)
	port, hasPort := e["port"].(json.Number)
	if !hasHost || !hasPort {
		return errors.New("it has no host that is text and port that is a number")
	}
	fields["host"+suffix], fields["port"+suffix] = host, port.String()
	return checkEndpoint(fields, suffix)
}

// flatten gives the fields of an object, those of objects in it with dots. What is there already stands.
func flatten(fields map[string]string, prefix string, object map[string]any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("its JSON is deeper than %d objects", maxDepth)
	}
	for key, value := range object {
		name := prefix + key
		if discovery.Clean(name) != name || key == "" {
			return fmt.Errorf("%q can't be the name of a field", discovery.Clip(name))
		}
		text := ""
		switch value := value.(type) {
		case map[string]any:
			if err := flatten(fields, name+".", value, depth+1); err != nil {
				return err
			}
			continue
		case string:
			text = value
		case json.Number:
			text = value.String()
		case bool:
			text = strconv.FormatBool(value)
		default: // a list or null
			continue
		}
		if _, ok := fields[name]; !ok {
			fields[name] = text
		}
	}
	return nil
}
