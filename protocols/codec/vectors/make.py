#!/usr/bin/env python3
"""Makes the vectors in this folder with libraries of other people: libspandsp (G.722), libgsm (GSM full rate), libbcg729 (G.729),
opencore-amr and vo-amrwbenc (AMR, AMR-WB), libopus (Opus).

Needs the Debian packages that README.md names. Run in this folder: python3 make.py
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


def frames(samples, length):
    return [samples[at : at + length] for at in range(0, len(samples) - length + 1, length)]


def with_length(payload):
    """Payloads have different lengths: each stands behind its own, in two bytes."""
    return len(payload).to_bytes(2, "little") + bytes(payload)


def library(name, *makers):
    """A library whose makers return pointers."""
    lib = ctypes.CDLL(name)
    for maker in makers:
        getattr(lib, maker).restype = ctypes.c_void_p
    return lib


def make(name, samples, length, encode, decode):
    """Writes what an encoder makes of each frame, and what a decoder makes of that."""
    code, heard = bytearray(), array.array("h")
    for said in frames(samples, length):
        payload = (ctypes.c_uint8 * 1275)()
        size = encode(pointer(said), payload)
        code += bytes(payload[:size]) if name == "g729" else with_length(payload[:size])
        out = array.array("h", [0]) * 1920
        decode(payload, size, pointer(out))
        heard += out[:length]
    write(f"{name}.code", code)
    write(f"{name}.heard", heard.tobytes())


def g729(samples):
    lib = library("libbcg729.so.0", "initBcg729EncoderChannel", "initBcg729DecoderChannel")
    encoder = ctypes.c_void_p(lib.initBcg729EncoderChannel(0))
    decoder = ctypes.c_void_p(lib.initBcg729DecoderChannel())

    def encode(said, payload):
        size = ctypes.c_uint8()
        lib.bcg729Encoder(encoder, said, payload, ctypes.byref(size))
        return size.value

    make("g729", samples, 80, encode, lambda payload, size, out: lib.bcg729Decoder(decoder, payload, size, 0, 0, 0, out))


def amr(samples, mode):
    lib = library("libopencore-amrnb.so.0", "Encoder_Interface_init", "Decoder_Interface_init")
    encoder = ctypes.c_void_p(lib.Encoder_Interface_init(0))
    decoder = ctypes.c_void_p(lib.Decoder_Interface_init())
    make(
        f"amr{mode}",
        samples,
        160,
        lambda said, payload: lib.Encoder_Interface_Encode(encoder, mode, said, payload, 0),
        lambda payload, size, out: lib.Decoder_Interface_Decode(decoder, payload, out, 0),
    )


def amr_wb(samples, mode):
    lib = library("libvo-amrwbenc.so.0", "E_IF_init")
    other = library("libopencore-amrwb.so.0", "D_IF_init")
    encoder, decoder = ctypes.c_void_p(lib.E_IF_init()), ctypes.c_void_p(other.D_IF_init())
    make(
        f"amrwb{mode}",
        samples,
        320,
        lambda said, payload: lib.E_IF_encode(encoder, mode, said, payload, 0),
        lambda payload, size, out: other.D_IF_decode(decoder, payload, out, 0),
    )


def opus(samples):
    lib = library("libopus.so.0", "opus_encoder_create", "opus_decoder_create")
    error, voip, set_complexity = ctypes.c_int(), 2048, 4010
    encoder = ctypes.c_void_p(lib.opus_encoder_create(16000, 1, voip, ctypes.byref(error)))
    assert lib.opus_encoder_ctl(encoder, set_complexity, 5) == 0
    decoder = ctypes.c_void_p(lib.opus_decoder_create(16000, 1, ctypes.byref(error)))
    make(
        "opus",
        samples,
        320,
        lambda said, payload: lib.opus_encode(encoder, said, 320, payload, 1275),
        lambda payload, size, out: lib.opus_decode(decoder, payload, size, out, 1920, 0),
    )


if __name__ == "__main__":
    # What is too loud for a sample turns over in libspandsp's decoder.
    g722(doubled(said(1)))
    gsm(said(0))
    # What is too loud for a sample is cut off by these libraries in another way than by the reference code.
    g729(said(1))
    for mode in (0, 7):
        amr(said(1), mode)
    for mode in (0, 2, 8):
        amr_wb(doubled(said(1)), mode)
    opus(doubled(said(1)))
