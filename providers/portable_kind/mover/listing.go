package main

import "encoding/gob"

// listing reads the other end's entries one by one.
type listing struct {
	decoder *gob.Decoder
	current *entry
	ended   *entry // the listing's last word, once it came
}

// peek is the next entry; nil after the last one.
func (l *listing) peek() (*entry, error) {
	if l.current == nil && l.ended == nil {
		var next entry
		if err := l.decoder.Decode(&next); err != nil {
			return nil, lost(err)
		}
		if next.Type != 0 {
			l.current = &next
		} else if next.Failed != "" {
			return nil, &failure{Kind: "permission", Message: "the target cannot list its volume: " + next.Failed}
		} else {
			l.ended = &next
		}
	}
	return l.current, nil
}

func (l *listing) next() { l.current = nil }

// upTo hands what stands before `path` to `alone`, and takes what stands at it; nil where nothing does.
func (l *listing) upTo(path string, alone func(*entry) error) (*entry, error) {
	if err := l.while(func(there *entry) bool { return before(there.Path, path) }, alone); err != nil {
		return nil, err
	}
	there := l.current
	if there == nil || there.Path != path {
		return nil, nil
	}
	l.next()
	return there, nil
}

// rest hands all that is left to `alone`.
func (l *listing) rest(alone func(*entry) error) error {
	return l.while(func(*entry) bool { return true }, alone)
}

func (l *listing) while(fits func(*entry) bool, alone func(*entry) error) error {
	for {
		there, err := l.peek()
		if err != nil {
			return err
		}
		if there == nil || !fits(there) {
			return nil
		}
		if err := alone(there); err != nil {
			return err
		}
		l.next()
	}
}
