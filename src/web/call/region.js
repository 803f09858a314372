// SPDX-License-Identifier: BSD-2-Clause
// A part of a shared screen as a track of its own.

const FRAME_MS = 66;

// Frame by frame, which goes on while another window is in front.
function cutFrames(source, part) {
  const processor = new MediaStreamTrackProcessor({ track: source });
  const generator = new MediaStreamTrackGenerator({ kind: 'video' });
  const even = (value) => Math.round(value) & ~1; // chroma has half the resolution
  processor.readable
    .pipeThrough(
      new TransformStream({
        transform(frame, controller) {
          const { codedWidth, codedHeight } = frame;
          const x = even(part.x * codedWidth);
          const y = even(part.y * codedHeight);
          const width = Math.max(2, Math.min(even(part.width * codedWidth), codedWidth - x));
          const height = Math.max(2, Math.min(even(part.height * codedHeight), codedHeight - y));
          try {
            const visibleRect = { x, y, width, height };
            controller.enqueue(new VideoFrame(frame, { visibleRect, displayWidth: width, displayHeight: height }));
          } finally {
            frame.close(); // of a few; kept, they would be the last
          }
        },
      }),
    )
    .pipeTo(generator.writable)
    .catch(() => {
      // Stopped, or it cannot be cut: nobody is to look at a picture that stands still.
      generator.stop();
      source.stop();
      source.dispatchEvent(new Event('ended'));
    });
  return { track: generator, source, stop: () => source.stop() };
}

// By way of a canvas, where the browser has nothing better; slow while the page is hidden.
async function cutCanvas(source, part) {
  const video = document.createElement('video');
  Object.assign(video, { muted: true, playsInline: true, srcObject: new MediaStream([source]) });
  await video.play();
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { alpha: false });
  const draw = () => {
    const width = Math.max(2, Math.round(part.width * video.videoWidth));
    const height = Math.max(2, Math.round(part.height * video.videoHeight));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.drawImage(video, part.x * video.videoWidth, part.y * video.videoHeight, width, height, 0, 0, width, height);
  };
  draw();
  const timer = setInterval(draw, FRAME_MS);
  const [track] = canvas.captureStream().getVideoTracks();
  const stop = () => {
    clearInterval(timer);
    source.stop();
    track.stop();
  };
  source.addEventListener('ended', stop);
  return { track, source, stop };
}

// part: { x, y, width, height } as fractions. { track, source, stop }.
export function cutRegion(source, part) {
  const frames = 'MediaStreamTrackProcessor' in globalThis && 'MediaStreamTrackGenerator' in globalThis;
  return frames ? cutFrames(source, part) : cutCanvas(source, part);
}
