package main

import (
	"bytes"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
)

// testLog is what the managers and gateways of one test log, at every level.
type testLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements zapcore.WriteSyncer.
func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// Sync implements zapcore.WriteSyncer.
func (*testLog) Sync() error { return nil }

// Bytes is what was logged so far.
func (l *testLog) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return bytes.Clone(l.text.Bytes())
}

var testLogs sync.Map // by test name

// logOf is the log of a test.
func logOf(t *testing.T) *testLog {
	l, there := testLogs.LoadOrStore(t.Name(), &testLog{})
	if !there {
		t.Cleanup(func() { testLogs.Delete(t.Name()) })
	}
	return l.(*testLog)
}

// fleetLogger logs to the test, and to what logOf gives.
func fleetLogger(t *testing.T) *zap.Logger {
	kept := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), logOf(t), zapcore.DebugLevel)
	return zaptest.NewLogger(t, zaptest.WrapOptions(zap.WrapCore(func(shown zapcore.Core) zapcore.Core { return zapcore.NewTee(shown, kept) })))
}
