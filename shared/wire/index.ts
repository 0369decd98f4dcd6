/** What nodes and clients say to each other: topics, requests, answers and reports. */
export type { CameraSetting } from './camera-setting.js';
export { parseCameraSetting } from './camera-setting.js';
export type { InferenceInput, InferenceRequest } from './inference-request.js';
export { parseInferenceRequest } from './inference-request.js';
export type { ErrorResponse, InferenceResponse, ResponseTensor } from './inference-response.js';
export { classTensors, datatypeOf, detectionTensors } from './inference-response.js';
export { MODEL_NAME, MODEL_NAME_RULE } from './model-name.js';
export type {
  CameraReport,
  CameraState,
  CameraStateReport,
  CameraStatus,
  NodeHealth,
  NodeInfo,
  PlanMemory,
  PredictedMemory,
  Pressure,
} from './node-report.js';
export { RequestError } from './request-error.js';
export type { CameraTopics, NodeTopics } from './topics.js';
export { cameraTopics, inferTopic, isReplyTopic, isTopicLevel, nodeTopics } from './topics.js';
