#!/usr/bin/env python3
"""Makes the vectors in this folder with libraries of other people: libspandsp (G.722) and libgsm (GSM full rate).

Needs the Debian packages libspandsp2 and libgsm1. Run in this folder: python3 make.py
"""

import array
import ctypes
import wave


def said(quieter):
    """One second of speech, then noise as loud as can be or so many bits quieter: 8000 Hz."""
    with wave.open("../../rtp/prompts/alice.wav") as prompt:
        prompt.setpos(2000)
        speech = array.array("h", prompt.readframes(8000))
    state, noise = 1, array.array("h")
    for _ in range(2000):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        sample = state >> 16
        noise.append((sample - 65536 if sample > 32767 else sample) >> quieter)
    return speech + noise


def doubled(samples):
    """The same at 16000 Hz: between two samples lies their mean."""
    out = array.array("h")
    for this, after in zip(samples, list(samples[1:]) + [0]):
        out.extend((this, (this + after) >> 1))
    return out


def pointer(samples):
    return (ctypes.c_int16 * len(samples)).from_buffer(samples)


def write(name, data):
    with open(name, "wb") as file:
        file.write(bytes(data))


def g722(samples):
    lib = ctypes.CDLL("libspandsp.so.2")
    for function in ("g722_encode_init", "g722_decode_init"):
        getattr(lib, function).restype = ctypes.c_void_p
    encoder = ctypes.c_void_p(lib.g722_encode_init(None, 64000, 0))
    code = (ctypes.c_uint8 * (len(samples) // 2))()
    count = lib.g722_encode(encoder, code, pointer(samples), len(samples))
    assert count == len(code)
    write("g722.code", code)
    decoder = ctypes.c_void_p(lib.g722_decode_init(None, 64000, 0))
    heard = array.array("h", [0]) * len(samples)
    assert lib.g722_decode(decoder, pointer(heard), code, count) == len(samples)
    write("g722.heard", heard.tobytes())


def gsm(samples):
    lib = ctypes.CDLL("libgsm.so.1")
    lib.gsm_create.restype = ctypes.c_void_p
    encoder, decoder = (ctypes.c_void_p(lib.gsm_create()) for _ in range(2))
    code, heard = bytearray(), array.array("h")
    for at in range(0, len(samples) - 159, 160):
        frame = (ctypes.c_uint8 * 33)()
        lib.gsm_encode(encoder, pointer(samples[at : at + 160]), frame)
        code += bytes(frame)
        out = array.array("h", [0]) * 160
        assert lib.gsm_decode(decoder, frame, pointer(out)) == 0
        heard += out
    write("gsm.code", code)
    write("gsm.heard", heard.tobytes())


if __name__ == "__main__":
    # What is too loud for a sample turns over in libspandsp's decoder.
    g722(doubled(said(1)))
    gsm(said(0))
